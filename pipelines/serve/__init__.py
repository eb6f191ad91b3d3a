"""The HTTP side of a home: webhooks in, look-ups out.

Belongs here: the application, its routes, who may call them, and the index that look-ups read. Does not belong here:
how a platform signs (connectors), reading records again (pulling), or figures (marts).
"""
