"""dataapp-operator: releases data apps safely on Kubernetes.

The package is layered, low to high: ``api`` (what people write), ``plan`` (pure decisions), the edges ``checks``,
``kube``, ``web``, then ``control`` (observe, decide, apply, status) and ``app`` (Kopf and wiring). ``cli`` stands beside them:
it is what people run on their own machines.
"""
