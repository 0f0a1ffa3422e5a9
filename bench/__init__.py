"""What the operator must reach, measured on the real cluster. Each bench prints a table and ends with 0 only if all holds."""
