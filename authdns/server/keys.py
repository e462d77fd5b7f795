"""The keys of TSIG as the server holds them: from the settings, and from the files that those name.

A key whose file cannot be read is not there: what is signed with it is refused (BADKEY), and who must sign with it is
not let in without.
"""

from collections.abc import Iterable, Mapping

from authdns.config import BadValue, KeySettings, parse_secret
from authdns.server.files import read_regular
from authdns.wire.tsig import Key, key_text

Keys = Mapping[bytes, Key]  # by their names


def read_keys(settings: Iterable[KeySettings], before: Keys) -> tuple[Keys, list[str]]:
    """The keys, and what is wrong with the others, in words that show no secret. One that was read `before` stays."""
    found: dict[bytes, Key] = {}
    problems = []
    for each in settings:
        try:
            found[each.name] = each.key or Key(each.name, each.algorithm, _secret_in(each.secret_file or ""))
        except (OSError, BadValue) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            kept = before.get(each.name)
            stays = kept is not None and kept.algorithm == each.algorithm
            if kept is not None and stays:
                found[each.name] = kept
            what = "the secret that was read before stays" if stays else "nobody can sign with it"
            problems.append(f"key {key_text(each.name)}: {each.secret_file}: {reason}; {what}")
    return found, problems


def _secret_in(path: str) -> bytes:
    return parse_secret(read_regular(path).decode("ascii", "replace"))
