"""Where a cluster's data are and go, by its inventory alone, and whether its policy allows that. Pure: nobody is asked.

To live here a line finds such a place (`places`, `linkerds`) or judges one (`judge`). Another kind of place is one more line of `places`.
"""

from provision.inventory.residency.judge import Verdict, judge, judged, refused
from provision.inventory.residency.place import Place
from provision.inventory.residency.places import Said, places, said_by

__all__ = [
    "Place",
    "Said",
    "Verdict",
    "judge",
    "judged",
    "places",
    "refused",
    "said_by",
]
