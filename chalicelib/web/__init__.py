"""What browsers and WebSocket clients meet."""
