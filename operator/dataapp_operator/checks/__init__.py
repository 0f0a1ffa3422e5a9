"""What the operator measures of a running app: real user sessions, the gateway's answers, the fronts' counts, logs.

Each check asks one question of the outside world and returns what it saw in words; none decides what happens next.
"""
