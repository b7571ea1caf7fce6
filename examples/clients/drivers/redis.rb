# redis-rb, and sidekiq where LIBRARY says so, as they come.
require "json"

group, *words = ARGV
sentinels = words.map { |word| word.split(":").then { |host, port| { host: host, port: Integer(port) } } }
$stdout.sync = true

def tell(**said)
  puts JSON.generate({ at: Process.clock_gettime(Process::CLOCK_REALTIME) * 1000, **said })
end

options = { url: "redis://#{group}", sentinels: sentinels, role: :master, timeout: 1 }
if ENV["LIBRARY"] == "sidekiq"
  require "sidekiq"
  Sidekiq.logger.level = Logger::FATAL
  Sidekiq.configure_client { |config| config.redis = options }
  tell(begin: true)
  write = ->(number) { Sidekiq::Client.push("class" => "Driver", "args" => [number]) or raise "not pushed" }
else
  require "redis"
  tell(begin: true)
  client = Redis.new(**options)
  write = ->(number) { client.set("redis-rb", number) }
end

(1..).each do |number|
  begin
    write.call(number)
    tell(ok: true)
  rescue StandardError => error
    tell(error: "#{error.class}: #{error.message}"[0, 160])
  end
  sleep 0.01
end
