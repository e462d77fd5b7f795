"""Broken zones, one mistake each, and what is said of them: by us, by named-checkzone, by kzonecheck.

The peers' verdicts were recorded with BIND 9.18 and Knot 3.2; tests compare them with what is installed. Where we are
milder than a peer, `MILDER_THAN` has the reason.
"""

from dataclasses import dataclass

SILENT, WARNED, REJECTED = "-wR"
WEIGHT = "-wR".index  # each says more than the one before

PRELUDE = "$ORIGIN example.com.\n$TTL 3600\n"
SOA = "@ SOA ns1 hostmaster 2024010101 7200 3600 1209600 3600"
NAME_SERVERS = "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2"
FIRST_LINE = len([*PRELUDE.splitlines(), SOA, *NAME_SERVERS.splitlines()]) + 1  # of what is written behind all that


@dataclass(frozen=True)
class Case:
    """`verdicts`: ours, BIND's, Knot's. `says` is a part of one of our messages. `lines` stand behind the rest."""

    verdicts: str
    what: str
    lines: str
    says: str = ""
    soa: str = SOA
    name_servers: str = NAME_SERVERS

    @property
    def text(self) -> str:
        return "\n".join([PRELUDE + self.soa, self.name_servers, self.lines]).rstrip("\n") + "\n"


def with_lines(lines: str) -> str:
    """A healthy zone and then `lines`."""
    return Case("---", "", lines).text


CASES = [
    Case(
        "RRR", "a CNAME beside an address", "www CNAME ns1\nwww A 192.0.2.3", "no other record may stand beside a CNAME"
    ),
    Case("RRR", "a CNAME beside a text", "www CNAME ns1\nwww TXT x", "no other record may stand beside a CNAME"),
    Case("---", "a CNAME beside its own NSEC", "www CNAME ns1\nwww NSEC zzz CNAME NSEC"),
    Case(
        "--R",
        "a CNAME beside a KEY, which RFC 2535 allows",
        "www CNAME ns1\nwww KEY 512 3 8 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+",
    ),
    Case("RRR", "a CNAME at the apex", "@ CNAME ns1", "at the apex use A and AAAA"),
    Case("RRR", "two CNAMEs at a name", "www CNAME ns1\nwww CNAME ns2", "more than one CNAME"),
    Case("RRR", "two DNAMEs at a name", "d DNAME a.example.org.\nd DNAME b.example.org.", "more than one DNAME"),
    Case(
        "R-R", "a name below a DNAME", "d DNAME a.example.org.\nx.d A 192.0.2.3", "x.d.example.com. must not be there"
    ),
    Case(
        "R-R",
        "a name two labels below a DNAME",
        "d DNAME a.example.org.\ny.x.d A 192.0.2.3",
        "y.x.d.example.com. must not be there",
    ),
    Case(
        "---",
        "a DNAME at the apex and nothing else",
        "",
        name_servers="@ NS ns1.example.org.\n@ NS ns2.example.org.\n@ DNAME a.example.org.",
    ),
    Case(
        "RRR",
        "a DNAME at the apex and names below it",
        "@ DNAME a.example.org.",
        "ns1.example.com. and 1 more must not be there",
    ),
    Case("R-R", "a DNAME beside a delegation", "d DNAME a.example.org.\nd NS ns1", "NS beside a DNAME"),
    Case(
        "RRR",
        "a DNAME beside a CNAME",
        "d DNAME a.example.org.\nd CNAME ns1",
        "no other record may stand beside a CNAME",
    ),
    Case("w--", "a DNAME that redirects below itself", "d DNAME x.d", "never ends"),
    Case("wR-", "a delegation at a wildcard", "*.w NS ns1", "a wildcard cannot delegate"),
    Case("w--", "a DNAME at a wildcard", "*.w DNAME a.example.org.", "a wildcard DNAME"),
    Case("ww-", "an asterisk that is not the first label", "a.*.w A 192.0.2.3", "only as the first label"),
    Case(
        "wRw",
        "a name server of the zone that does not exist",
        "",
        "ns2.example.com. does not exist in this zone",
        name_servers="@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1",
    ),
    Case(
        "wRw",
        "a name server of the zone without an address",
        "",
        "ns2.example.com. has no address",
        name_servers="@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 TXT x",
    ),
    Case(
        "wRw",
        "a name server of the zone that is an alias",
        "",
        "ns2.example.com. is an alias",
        name_servers="@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 CNAME ns1",
    ),
    Case(
        "wRw",
        "a name server of the zone below a DNAME",
        "",
        "ns2.d.example.com. is an alias",
        name_servers="@ NS ns1\n@ NS ns2.d\nns1 A 192.0.2.1\nd DNAME example.org.",
    ),
    Case(
        "---", "name servers whose addresses come from a wildcard", "", name_servers="@ NS ns1\n@ NS ns2\n* A 192.0.2.1"
    ),
    Case(
        "ww-",
        "an address as the zone's name server",
        "",
        "192.0.2.2. looks like an address",
        name_servers="@ NS ns1\n@ NS 192.0.2.2.\nns1 A 192.0.2.1",
    ),
    Case(
        "wRw",
        "an address without its dot as the zone's name server",
        "",
        "looks like an address",
        name_servers="@ NS ns1\n@ NS 192.0.2.2\nns1 A 192.0.2.1",
    ),
    Case(
        "w--",
        "the root as the zone's name server",
        "",
        "'.' is no name server",
        name_servers="@ NS ns1\n@ NS .\nns1 A 192.0.2.1",
    ),
    Case(
        "---",
        "a name server of the zone in a delegated zone, with glue",
        "",
        name_servers="@ NS ns1\n@ NS ns.sub\nns1 A 192.0.2.1\nsub NS ns.sub\nns.sub A 192.0.2.2",
    ),
    Case(
        "---",
        "a name server of the zone in a delegated zone, without glue",
        "",
        name_servers="@ NS ns1\n@ NS ns.sub\nns1 A 192.0.2.1\nsub NS ns1",
    ),
    Case(
        "wRw",
        "a name server that lacks its last dot",
        "",
        "was 'ns2.example.com.' meant, with a dot at the end?",
        name_servers="@ NS ns1\n@ NS ns2.example.com\nns1 A 192.0.2.1\nns2 A 192.0.2.2",
    ),
    Case("w--", "a single name server", "", "at least two were expected", name_servers="@ NS ns1\nns1 A 192.0.2.1"),
    Case(
        "ww-",
        "a name server with an underscore",
        "",
        "n_s2.example.com. is no host name",
        name_servers="@ NS ns1\n@ NS n_s2\nns1 A 192.0.2.1\nn_s2 A 192.0.2.2",
    ),
    Case("ww-", "an address at a name with an underscore", "a_b A 192.0.2.2", "no host name"),
    Case("ww-", "addresses at names that begin or end in a hyphen", "-ab A 192.0.2.2\nab- A 192.0.2.2", "no host name"),
    Case("ww-", "a label that begins with an asterisk", "*x A 192.0.2.3", "no host name"),
    Case("---", "the global catalog of an Active Directory", "gc._msdcs A 192.0.2.3"),
    Case("ww-", "an MX at a name with an underscore", "a_b MX 10 ns1", "no host name"),
    Case(
        "ww-",
        "an MX that points at a name with an underscore",
        "@ MX 10 a_b\na_b A 192.0.2.4",
        "a_b.example.com. is no host name",
    ),
    Case(
        "ww-",
        "an SRV that points at a name with an underscore",
        "_x._tcp SRV 0 0 1 a_b\na_b A 192.0.2.4",
        "a_b.example.com. is no host name",
    ),
    Case("---", "underscores in an alias and its target", "a_b CNAME a_c\na_c TXT x"),
    Case("ww-", "an MX that points at no name", "@ MX 10 mail", "mail.example.com. does not exist in this zone"),
    Case(
        "ww-",
        "an MX that points at a name without address",
        "@ MX 10 mail\nmail TXT x",
        "mail.example.com. has no address",
    ),
    Case("ww-", "an MX that points at an alias", "@ MX 10 mail\nmail CNAME ns1", "mail.example.com. is an alias"),
    Case("ww-", "an MX that points at an address", "@ MX 10 192.0.2.3.", "192.0.2.3. looks like an address"),
    Case("ww-", "an MX that points at an address without its dot", "@ MX 10 192.0.2.3", "looks like an address"),
    Case("---", "the null MX", "@ MX 0 ."),
    Case("w--", "the null MX beside another MX", "@ MX 0 .\n@ MX 10 ns1", "yet there is another MX"),
    Case("---", "an MX that points into a delegated zone", "@ MX 10 m.sub\nsub NS ns1"),
    Case("---", "an MX whose address comes from a wildcard", "@ MX 10 mail\n* A 192.0.2.3"),
    Case("ww-", "an MX that lacks its last dot", "@ MX 10 mail.example.com", "was 'mail.example.com.' meant"),
    Case(
        "ww-", "an MX elsewhere that lacks its last dot", "@ MX 10 aspmx.example.net", "was 'aspmx.example.net.' meant"
    ),
    Case("ww-", "an SRV that points at no name", "_x._tcp SRV 0 0 1 srv", "srv.example.com. does not exist"),
    Case(
        "ww-", "an SRV that points at an alias", "_x._tcp SRV 0 0 1 srv\nsrv CNAME ns1", "srv.example.com. is an alias"
    ),
    Case("---", "an SRV that says there is no such service", "_x._tcp SRV 0 0 0 ."),
    Case(
        "w--",
        "an SRV that says there is no such service beside one",
        "_x._tcp SRV 0 0 0 .\n_x._tcp SRV 0 0 1 ns1",
        "yet there is another SRV",
    ),
    Case("w--", "an HTTPS alias of a name that does not exist", "@ HTTPS 0 web", "web.example.com. does not exist"),
    Case("---", "an HTTPS alias of a name that has no address", "@ HTTPS 0 web\nweb HTTPS 1 ns1"),
    Case("---", "aliases and mail for names in a delegated zone", "sub NS ns1\n@ MX 1 m.sub\nwww CNAME www.sub"),
    Case("w--", "an SRV with port 0", "_x._tcp SRV 0 0 0 ns1", "port 0"),
    Case("w--", "an SRV at a name that is no service", "x SRV 0 0 1 ns1", "expected a service and a protocol"),
    Case("w--", "an HTTPS record that points at no name", "@ HTTPS 1 web", "web.example.com. does not exist"),
    Case("---", "an HTTPS record that points at an alias, which is allowed", "@ HTTPS 1 web\nweb CNAME ns1"),
    Case(
        "w--", "an HTTPS record at a name without address", "www HTTPS 1 . alpn=h2", "www.example.com. has no address"
    ),
    Case("w--", "an HTTPS alias beside a service", "@ HTTPS 0 ns1\n@ HTTPS 1 ns2", "ignore the other records"),
    Case("w--", "an HTTPS alias of itself", "@ HTTPS 0 @", "points at its own name"),
    Case("www", "a delegation without its glue", "sub NS ns.sub", "glue is missing: ns.sub.example.com."),
    Case(
        "www",
        "a delegation whose glue is an alias",
        "sub NS ns.sub\nns.sub CNAME ns1",
        "glue is missing: ns.sub.example.com.",
    ),
    Case("---", "a delegation to a server of the same name", "sub NS sub\nsub A 192.0.2.9"),
    Case("www", "a delegation to a name that does not exist", "sub NS ns3", "ns3.example.com. does not exist"),
    Case("www", "a delegation to an alias", "sub NS ns3\nns3 CNAME ns1", "ns3.example.com. is an alias"),
    Case(
        "---",
        "a delegation to a server in a sibling zone, with glue",
        "sub NS ns.sub2\nsub2 NS ns.sub2\nns.sub2 A 192.0.2.7",
    ),
    Case("-w-", "a delegation to a server in a sibling zone, without glue", "sub NS ns.sub2\nsub2 NS ns1"),
    Case(
        "w--",
        "an address below a delegation that is no glue",
        "sub NS ns1\nwww.sub A 192.0.2.9",
        "www.sub.example.com. below this delegation",
    ),
    Case("w--", "a text below a delegation", "sub NS ns1\nwww.sub TXT x", "www.sub.example.com. below this delegation"),
    Case(
        "w--", "a delegation below a delegation", "sub NS ns1\na.sub NS ns1", "a.sub.example.com. below this delegation"
    ),
    Case("w--", "a text beside a delegation", "sub NS ns1\nsub TXT x", "never seen"),
    Case("w--", "an address beside a delegation", "sub NS ns1\nsub A 192.0.2.4", "never seen"),
    Case(
        "---",
        "a signed delegation",
        "sub NS ns1\nsub DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
    ),
    Case(
        "ww-",
        "a DS with nothing but SHA-1",
        "sub NS ns1\nsub DS 60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
        "only SHA-1",
    ),
    Case("--w", "a DS of an unknown digest type", "sub NS ns1\nsub DS 60485 8 99 D4B7D520"),
    Case(
        "w--",
        "a DS without delegation",
        "sub DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
        "a DS without NS",
    ),
    Case(
        "RR-",
        "a DS at the apex",
        "@ DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
        "never at its apex",
    ),
    Case("w--", "an owner that lacks its last dot", "www.example.com A 192.0.2.3", "was 'www.example.com.' meant"),
    Case("w--", "an alias that lacks its last dot", "www CNAME web.example.com", "was 'web.example.com.' meant"),
    Case("w--", "an alias of a name that does not exist", "www CNAME web", "does not exist in this zone"),
    Case("w--", "an alias of itself", "www CNAME www", "leads back to itself"),
    Case(
        "w--",
        "three aliases in a circle",
        "a CNAME b\nb CNAME c\nc CNAME a",
        "a.example.com. -> b.example.com. -> c.example.com. -> a.example.com.",
    ),
    Case("w--", "two SPF records", '@ TXT "v=spf1 -all"\n@ TXT "v=spf1 mx -all"', "2 SPF records"),
    Case("ww-", "SPF as its own type", '@ SPF "v=spf1 -all"', "type SPF is obsolete"),
    Case("---", "SPF as its own type and as a text", '@ SPF "v=spf1 -all"\n@ TXT "v=spf1 -all"'),
    Case(
        "w--",
        "a mailbox with an escaped @",
        "",
        "in place of the @: host.master",
        soa="@ SOA ns1 host\\@master 2024010101 7200 3600 1209600 3600",
    ),
    Case(
        "w-R",
        "a mailbox with an @",
        "",
        "in place of the @: hostmaster.example",
        soa="@ SOA ns1 hostmaster@example.com. 2024010101 7200 3600 1209600 3600",
    ),
    Case(
        "w--",
        "a mailbox without a domain",
        "",
        "hostmaster. is no mailbox",
        soa="@ SOA ns1 hostmaster. 2024010101 7200 3600 1209600 3600",
    ),
    Case("w--", "no mailbox", "", ". is no mailbox", soa="@ SOA ns1 . 2024010101 7200 3600 1209600 3600"),
    Case(
        "w--",
        "a mailbox that lacks its last dot",
        "",
        "the mailbox hostmaster.example.com.example.com. has the name of the zone twice",
        soa="@ SOA ns1 hostmaster.example.com 2024010101 7200 3600 1209600 3600",
    ),
    Case(
        "w--",
        "a primary that lacks its last dot",
        "",
        "the primary ns1.example.com.example.com. has the name of the zone twice",
        soa="@ SOA ns1.example.com hostmaster 2024010101 7200 3600 1209600 3600",
    ),
    Case(
        "---",
        "a primary that nobody can look up, being hidden",
        "",
        soa="@ SOA ns9 hostmaster 2024010101 7200 3600 1209600 3600",
    ),
    Case(
        "w--",
        "no primary",
        "",
        ". is no name of a primary server",
        soa="@ SOA . hostmaster 2024010101 7200 3600 1209600 3600",
    ),
    Case(
        "w--",
        "timers that are all zero",
        "",
        "refresh, retry or expire is 0",
        soa="@ SOA ns1 hostmaster 2024010101 0 0 0 0",
    ),
    Case(
        "w--",
        "a retry above the refresh",
        "",
        "should be shorter than refresh (3600 s)",
        soa="@ SOA ns1 hostmaster 2024010101 3600 7200 1209600 3600",
    ),
    Case(
        "w--",
        "an expire below refresh and retry",
        "",
        "is shorter than refresh and retry together (10800 s)",
        soa="@ SOA ns1 hostmaster 2024010101 7200 3600 9000 3600",
    ),
    Case(
        "w--",
        "a minimum of a week",
        "",
        "more than a day",
        soa="@ SOA ns1 hostmaster 2024010101 7200 3600 1209600 604800",
    ),
    Case("w--", "serial 0", "", "the serial is 0", soa="@ SOA ns1 hostmaster 0 7200 3600 1209600 3600"),
    Case(
        "RR-",
        "a second SOA below the apex",
        "sub SOA ns1 hostmaster 2024010101 7200 3600 1209600 3600",
        "may only stand at the apex",
    ),
    Case("w--", "a CAA with a flag that does not exist", '@ CAA 1 issue "ca.example.net"', "flags 1"),
    Case("w--", "a CAA with a misspelled tag", '@ CAA 0 isue "ca.example.net"', "'isue' is not a known tag"),
    Case("w--", "a critical CAA with a misspelled tag", '@ CAA 128 isue "ca.example.net"', "makes every CA refuse"),
    Case(
        "w--",
        "a CAA that reports to no URL",
        '@ CAA 0 iodef "ops@example.com"',
        "expected e.g. 'mailto:ops@example.com'",
    ),
    Case(
        "-R-",
        "a CDS without DNSKEY",
        "@ CDS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
    ),
    Case("---", "a healthy zone", ""),
]

# Zones that a peer takes more seriously than we do, on purpose.
_SERVED_ALL_THE_SAME = "the zone can be served, and its other name servers answer; the warning says what is wrong"

MILDER_THAN = {
    "bind": {
        **dict.fromkeys(
            (
                "a name server of the zone that does not exist",
                "a name server of the zone without an address",
                "a name server of the zone that is an alias",
                "a name server of the zone below a DNAME",
                "an address without its dot as the zone's name server",
                "a name server that lacks its last dot",
            ),
            _SERVED_ALL_THE_SAME,
        ),
        "a delegation at a wildcard": "RFC 4592 §4.2 discourages it and forbids nothing; the rest of the zone is fine",
        "a delegation to a server in a sibling zone, without glue": "the sibling's own servers have the address, as "
        "long as the two do not depend on each other",
        "a CDS without DNSKEY": "signing may be done after the zone file is read",
    },
    "knot": {
        "a CNAME beside a KEY, which RFC 2535 allows": "RFC 2535 §2.3.5 allows it",
        "a DS of an unknown digest type": "a digest type that is new tomorrow is no mistake",
        "a mailbox with an @": "it is not meant so, yet RFC 2181 §11 allows any octet in a label",
    },
}
