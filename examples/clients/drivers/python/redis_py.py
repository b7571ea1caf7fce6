"""redis-py, and valkey-py where LIBRARY says so: a master that is found through the sentinels, with a limit of one second."""

import importlib
import os

import told

sentinel = importlib.import_module(os.environ["LIBRARY"] + ".sentinel").Sentinel(told.SENTINELS, socket_timeout=1)
told.say(begin=True)
master = sentinel.master_for(told.GROUP, socket_timeout=1)
told.write_for_ever(lambda number: master.set("redis-py", number))
