"""The responses to one question, judged: over TCP as well when one of them is truncated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import dns.rdatatype

from tests.differential.comparison import OURS, Difference, Response, differences, malformed, understood
from tests.differential.deviations import Deviation, explanation
from tests.differential.facts import Facts
from tests.differential.questions import TCP, Question
from tests.differential.servers import Wires


class Verdict(NamedTuple):
    """One difference."""

    kind: str  # those of one kind have probably one cause
    text: str
    reason: Deviation | None


def verdicts(
    question: Question, wires: Wires, ask: Callable[[Question], Wires], apexes: Collection[bytes], facts: Facts
) -> Iterator[Verdict]:
    """Every difference in the responses `wires`; `ask` is for the same question over TCP."""
    responses, whole = {name: understood(wire, apexes) for name, wire in wires.items()}, None
    if not question.mode.tcp and is_shortened(question, responses):
        over_tcp = question._replace(mode=TCP._replace(opt=question.mode.opt, name=f"{question.mode.name}, TCP"))
        whole_wires = ask(over_tcp)
        whole_responses = {name: understood(wire, apexes) for name, wire in whole_wires.items()}
        whole = whole_responses[OURS]
        yield from _verdicts(over_tcp, whole_wires[OURS], whole_responses, None, facts)
    yield from _verdicts(question, wires[OURS], responses, whole, facts)


def is_shortened(question: Question, responses: dict[str, Response]) -> bool:
    """Whether somebody set TC, or may have left something out."""
    if any("TC" in response.flags for response in responses.values()):
        return True
    return any(found.aspect == "additional" for found in differences(question.name, question.type, responses))


def _verdicts(
    question: Question, ours: bytes | None, responses: dict[str, Response], whole: Response | None, facts: Facts
) -> Iterator[Verdict]:
    said = "\n".join(f"    {name}: {response}" for name, response in responses.items())
    broken = malformed(ours, question.packet(0), question.mode.limit)
    if broken is not None:
        yield Verdict(f"malformed: {broken[:20]}", f"{question}: {broken}\n{said}", None)
        return
    for found in differences(question.name, question.type, responses, question.mode.limit, whole):
        reason = explanation(found, facts)
        yield Verdict(kind_of(found), f"{found.aspect} differs: {question}\n{said}", reason)
        if reason is None:
            return  # the rest follows from it


def kind_of(found: Difference) -> str:
    return f"{found.aspect}: ours {shape(found.ours)} most {shape(found.most)}"


def shape(response: Response) -> str:
    sections = " ".join(
        ",".join(sorted({dns.rdatatype.to_text(dns.rdatatype.RdataType.make(row.type)) for row in rows})) or "-"
        for rows in (response.answer, response.authority)
    )
    return f"{response.rcode} {response.flags} {sections} +{len(response.additional)}"
