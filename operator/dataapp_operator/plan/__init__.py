"""Pure decisions: what was observed goes in, a plan comes out. No I/O, no clock, no chance: time is an input."""
