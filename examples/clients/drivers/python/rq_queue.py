"""rq: jobs are put into a queue at a master that redis-py finds through the sentinels."""

import told
from redis.sentinel import Sentinel
from rq import Queue

told.say(begin=True)
queue = Queue("driver", connection=Sentinel(told.SENTINELS, socket_timeout=1).master_for(told.GROUP, socket_timeout=1))
told.write_for_ever(lambda number: queue.enqueue("time.sleep", 0, job_id=f"job-{number}"))
