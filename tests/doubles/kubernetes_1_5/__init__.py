"""A strict double of kubeadm (13 December 2016), kubelet 1.5 and kubectl 1.5.

It accepts the flags, files and order that the real ones take, says what they say, waits for ever where they do, and
breaks what they break. Where the real programs ignore a mistake in silence, it fails: what meshctl writes must mean
something. The cluster is a file that all nodes of a lab share; pods are processes in network namespaces of their own.
"""
