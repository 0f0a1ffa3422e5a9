"""The API group ``dataapps.dev/v1alpha1``: models of the kinds, their conditions and reasons, and the CRDs made from them."""
