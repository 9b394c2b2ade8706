"""What surrounds every request: connection deadlines, guards, context, disconnects. Knows no route and no
model.
"""
