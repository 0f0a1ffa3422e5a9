"""Where the arrows meet: observe (reads), decide (pure), apply (writes), status last."""
