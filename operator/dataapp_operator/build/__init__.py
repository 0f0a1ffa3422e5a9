"""From code to an image: detection, recipes, build jobs and what their logs say. Pure: nothing here reads or writes."""
