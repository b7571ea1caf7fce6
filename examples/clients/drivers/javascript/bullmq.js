// bullmq: jobs are put into a queue at a master that ioredis finds through the sentinels.
import { Queue } from "bullmq";
import { group, say, sentinels, writeForEver } from "./told.js";

say({ begin: true });
const queue = new Queue("driver", { connection: { sentinels, name: group } });
queue.on("error", () => {});
await writeForEver((number) => queue.add("nothing", { number }));
