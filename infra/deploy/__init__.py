"""Into an AWS account, and out of it again: what `nightshift provision`, `deploy` and `destroy` do.

| module | what |
| --- | --- |
| `stage.py` | a stage: its names, its account |
| `stack.py` | the CloudFormation stack of infra/resources.yaml, by change sets |
| `config.py` | the stage's part of .chalice/config.json |
| `application.py` | the `chalice` command, and what it remembers |
| `inventory.py` | what of a stage is in the account, by name alone |
| `plan.py` | what a deploy would change |
| `deploy.py`, `destroy.py` | the commands, step by step |
| `doors.py` | whether the deployed doors answer |
"""
