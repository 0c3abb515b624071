"""Take in what only a user has, keep it encrypted in the stack's file, and say how it is.

What nobody should choose (keys, credentials, passwords) the program generates and the engine keeps encrypted in its
state; here it is listed and rotated.
"""
