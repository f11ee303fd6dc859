"""meshctl: bare-metal KVM guests, Kubernetes by kubeadm and the Linkerd mesh, from one inventory."""

__version__ = "0.1.0"
