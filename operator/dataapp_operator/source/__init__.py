"""Reading git: which commit a ref is at, which manifests and files it holds, and an app's files as an archive.

Everything that comes out of a repository was written by somebody who may mean harm; so nothing here is ever checked
out, executed or followed. Repositories are bare mirrors that may be deleted at any time.
"""
