"""What linkerd 1.x reads: its dtabs and its configuration, as knowledge about text. Pure; knows no cluster."""
