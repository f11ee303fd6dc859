"""The words that everything else is written in: errors, events, units, secrets, waiting, a shell for this machine.

To live here a line knows nothing of clusters, hosts or linkerd, and imports nothing of the house but its neighbours here.
This room hands nothing on: whoever needs a word takes it from its own file (`base.errors`, `base.units`), so that a
command loads the words that it uses and no others.
"""
