"""What moves runs along: starting, slots, running, progress, sweeping, the timetable.

Every request to AWS may be the last thing a process does.
"""
