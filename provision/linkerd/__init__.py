"""What linkerd 1.x reads: its dtabs and its configuration, as knowledge about text. Pure; knows no cluster.

Data flows one way here too: text → knowledge → routing → pages → check → mend → migrate, and `render` beside them; `wanted`
is what an inventory says under `mesh:`. To live here a line is true of linkerd wherever it runs; what meshctl makes of it
on a cluster is `mesh`. Each room below hands on its own names; this one loads none, since a validation needs few.
"""
