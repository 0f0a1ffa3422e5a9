"""`make demo`: the main job, from `git push` to a page, shown on the real cluster. Each scene is a module of its own."""
