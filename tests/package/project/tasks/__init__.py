"""Tasks that do what few runs do, and what none may."""
