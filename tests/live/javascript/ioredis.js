// Writes to the master and reads from a replica, through ioredis, for ever; one line for each round.
import Redis from "ioredis";

const [name, ...ports] = process.argv.slice(2);
const sentinels = ports.map((port) => ({ host: "127.0.0.1", port: Number(port) }));
const options = { sentinels, name, maxRetriesPerRequest: 1, commandTimeout: 1000, sentinelRetryStrategy: () => 50, retryStrategy: () => 50 };
const master = new Redis(options);
const replica = new Redis({ ...options, role: "slave" });
for (const client of [master, replica]) client.on("error", () => {});

const port = (info) => /tcp_port:(\d+)/.exec(info)[1];
for (let number = 1; ; number++) {
  try {
    await master.set("js", number);
    const wrote = port(await master.info("server"));
    const read = port(await replica.info("server"));
    console.log(`wrote=${wrote} read=${read}`);
  } catch (error) {
    console.log(`failed: ${error.message}`);
  }
  await new Promise((done) => setTimeout(done, 50));
}
