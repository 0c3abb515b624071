"""Rooms: membership, history and the Phoenix websocket."""
