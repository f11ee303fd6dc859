"""Countries by their ISO 3166-1 code, and who is in the European Economic Area since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

EEA = "EEA"
"""What a policy says for all members of the area together."""


@dataclass(frozen=True)
class Membership:
    """The first day on which the EEA Agreement is applied to a country, and the last one where there is one."""

    since: date
    until: date | None = None

    def holds(self, on: date) -> bool:
        """Whether the Agreement is applied on a day."""
        return self.since <= on and (self.until is None or on <= self.until)


def _since(day: date, *codes: str) -> dict[str, Membership]:
    return dict.fromkeys(codes, Membership(day))


MEMBERS: dict[str, Membership] = {
    # Entry into force (OJ L 1, 3.1.1994, p. 3), with Finland, Sweden and Austria as EFTA states, which they were then.
    **_since(date(1994, 1, 1), "AT", "BE", "DE", "DK", "ES", "FI", "FR", "GR", "IE", "IS", "IT", "LU", "NL", "NO", "PT", "SE"),
    # EEA Council Decision 1/95 (OJ L 86, 20.4.1995, p. 58).
    **_since(date(1995, 5, 1), "LI"),
    # Applied provisionally from the day of the EU's enlargement (OJ L 130, 29.4.2004, p. 11).
    **_since(date(2004, 5, 1), "CY", "CZ", "EE", "HU", "LT", "LV", "MT", "PL", "SI", "SK"),
    # Applied provisionally (OJ L 221, 25.8.2007, p. 15).
    **_since(date(2007, 8, 1), "BG", "RO"),
    # Applied provisionally (OJ L 170, 11.6.2014, p. 18).
    **_since(date(2014, 4, 12), "HR"),
    # Withdrawal Agreement, articles 126 and 127 (OJ L 29, 31.1.2020, p. 7): the transition period ended with 2020.
    "GB": Membership(date(1994, 1, 1), date(2020, 12, 31)),
}  # fmt: skip
"""The EU's 27, Iceland, Liechtenstein and Norway; and who has left. As of 2026-12-01 by the list of the EEA Agreement's parties that the
EFTA Secretariat keeps (efta.int/eea). The GDPR is part of the Agreement since 2018-07-20 (Joint Committee Decision 154/2018).

A territory with an ISO code of its own (Åland AX, Svalbard SJ, Réunion RE, Greenland GL) is not its state here: the Agreement is applied to
some of them and not to others, so that who means one says so."""

HABITS = {"UK": "GB", "EL": "GR", "EN": "GB"}
"""What people write for a code: UK and EL are the European Union's own (Interinstitutional style guide, 7.1)."""


def known(code: str) -> bool:
    """Whether it is a country's alpha-2 code, in capitals."""
    from iso3166 import countries_by_alpha2  # 15 ms that only an inventory with countries pays

    return code in countries_by_alpha2


def name_of(code: str) -> str:
    """The English name that ISO 3166 has, without its remarks: `Iran` of `Iran (Islamic Republic of)`."""
    from iso3166 import countries_by_alpha2

    return countries_by_alpha2[code].apolitical_name.partition(" (")[0].partition(", ")[0]


def nearest(text: str) -> str:
    """The code of what was written in another way (`no`, `NOR`, `Norway`, `UK`), empty when that is nobody's."""
    from iso3166 import countries

    upper = text.strip().upper()
    found = None if upper in HABITS else countries.get(upper, None)
    return HABITS.get(upper, "") if found is None else found.alpha2
