"""Who may sign in to the pages: local accounts, their passwords and sessions.

`store` has the accounts, `passwords` the hashing, `sessions` who is signed in. What a role may see is the pages'.
"""
