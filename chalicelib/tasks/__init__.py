"""This project's own tasks: Python modules and YAML files, with their input in data/ and logs/. What is here are samples."""
