"""Random nasty zones and questions, put to authdns and to BIND, NSD and Knot: `python -m tests.differential --help`.

    zones      a random zone, as records
    families   what is nasty in it, one function each
    questions  what is asked of such a zone, and how (UDP, TCP, EDNS, DO)
    servers    one batch of zones in all four servers
    messages   what a response says, as sets
    comparison where authdns says otherwise than most of its peers
    deviations why it does so on purpose, each with its RFC
    shrink     the smallest zone that still shows a difference
    run        all of this, until so many questions have been asked

What is random depends on nothing but the seed.
"""
