"""What each release of linkerd reads, has by default and does otherwise: data with since and until, and how it is looked up.

To live here a line is a fact about linkerd's releases. The room hands nothing on: an inventory without linkerd.yaml needs
`versions` alone, and shall not pay for the rest.
"""
