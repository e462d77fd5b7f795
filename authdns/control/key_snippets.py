"""A new key of TSIG as it is written for authdns and for the secondaries that it is meant for."""

_SNIPPETS = """\
# authdns (authdns.yaml)
keys:
  {name}: {{algorithm: {algorithm}, secret: "{secret}"}}
secondaries:
  SECONDARY: {{transfer-from: [ADDRESS-OF-SECONDARY], key: {name}}}

# BIND (named.conf)
key "{name}" {{ algorithm {algorithm}; secret "{secret}"; }};
zone "ZONE" {{
    type secondary;
    file "ZONE.copy";
    primaries {{ ADDRESS-OF-AUTHDNS key "{name}"; }};
}};

# Knot DNS (knot.conf)
key:
  - id: {name}
    algorithm: {algorithm}
    secret: {secret}
remote:
  - id: authdns
    address: ADDRESS-OF-AUTHDNS
    key: {name}
acl:
  - id: notify-from-authdns
    address: ADDRESS-OF-AUTHDNS
    key: {name}
    action: notify
zone:
  - domain: ZONE
    master: authdns
    acl: notify-from-authdns

# NSD (nsd.conf)
key:
    name: {name}
    algorithm: {algorithm}
    secret: "{secret}"
zone:
    name: ZONE
    request-xfr: ADDRESS-OF-AUTHDNS {name}
    allow-notify: ADDRESS-OF-AUTHDNS {name}

# PowerDNS (commands)
pdnsutil import-tsig-key {name} {algorithm} '{secret}'
pdnsutil create-secondary-zone ZONE ADDRESS-OF-AUTHDNS
pdnsutil activate-tsig-key ZONE {name} secondary
"""


def snippets(name: str, algorithm: str, secret: str) -> str:
    """`name` without the final dot, `secret` in base64. What is in capitals is for the reader to fill in."""
    return _SNIPPETS.format(name=name, algorithm=algorithm, secret=secret)
