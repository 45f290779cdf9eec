"""YAML files, @task and @processor -> one validated catalog, compiled to one JSON file.

decorators.py      what a module under chalicelib/tasks/ uses
signature.py       a function's signature -> the parameters of its task, and arguments -> what the function takes
yaml_source.py     YAML with the line of every key
python_source.py   importing the modules; each decorated function as a definition with lines
faults.py          what is wrong with a definition, said so that it can be mended
checks.py          one task, pipeline or settings block against its rules
compile.py         all of it -> catalog.json and .chalice/config.json
load.py            catalog.json -> Catalog, importing no task code
"""
