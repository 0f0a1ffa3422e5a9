"""``kubectl dataapp`` and ``dataapp``: what a person sees of their apps, and what they tell the operator.

It reads objects and writes annotations, all of it through the person's own ``kubectl``. Nothing in here is a part of the
operator's process: no other package imports this one.
"""
