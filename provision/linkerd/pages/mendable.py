"""The ids of findings that `--fix` can mend: those whose fix is one and mechanical. What needs a decision stays its owner's."""

MENDABLE = frozenset(
    (
        *("ML304", "ML305", "ML306", "ML307", "ML308", "ML309", "ML315", "ML318", "ML319", "ML320", "ML326", "ML328"),
        *("ML341", "ML342", "ML344", "ML346", "ML347", "ML349", "ML352", "ML355"),
        *("ML363", "ML367", "ML368"),
    )
)
"""Of an id that is here some findings may still be left: a key that no release has and that is near to none, for example."""
