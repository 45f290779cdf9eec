"""Every DynamoDB request of the project, each a small named function. Nothing else speaks DynamoDB.

One table, its keys by what is stored:

| pk | sk | what |
| --- | --- | --- |
| `RUN#{run}` | `RUN` | the run; the only item in the indexes by_task, by_status, by_age |
| `RUN#{run}` | `EVENT#{seq}` | a chunk of events, named by its last seq |
| `RUN#{run}` | `RESULT` | a result too large for the run |
| `SEMAPHORE` | name | the concurrency counter with its holders |
| `QUEUE#{semaphore}` | priority, time, run | a run that waits for a slot |
| `TASK` | task | counters and last run of a task |
| `DEFINITION` | task | what was changed of a task at run time |
| `TIMETABLE` | task | when it is due next; in the index by_due, as are runs that were asked for at an instant |
| `FIRES#{task}` | instant | the ledger: what became of a fire |
| `RATE#{name}` | window | starts within a window |
| `SYNC` | what | which catalog the functions' settings, the timetable and the rules were made from; which code is deployed |
| `STATS#{day}` | task | a task's day |
| `KEY#{task}` | Idempotency-Key | the run that a start with this key made |
| `TOKEN` | sha-256 | a login token |
| `CONNECTION#{connection}` | `CONNECTION` | the run that a WebSocket connection was let in for |
| `SECRET` | name | what tickets are signed with |
"""
