"""celery, by kombu: tasks are published to a broker that is found through the sentinels."""

import told
from celery import Celery

broker = ";".join(f"sentinel://{host}:{port}/0" for host, port in told.SENTINELS)
app = Celery("driver", broker=broker)
app.conf.broker_transport_options = {"master_name": told.GROUP, "socket_timeout": 1}
told.say(begin=True)
told.write_for_ever(lambda number: app.send_task("driver.nothing", args=[number], ignore_result=True))
