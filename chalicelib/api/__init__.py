"""The REST API: one small function per route, independent of Chalice; app.py hands them their requests."""
