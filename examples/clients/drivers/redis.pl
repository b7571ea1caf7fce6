# Perl's Redis, as its manual shows it: it connects again by itself for some seconds.
use strict;
use warnings;
use JSON::PP;
use Redis;
use Time::HiRes qw(sleep time);

my ($group, @sentinels) = @ARGV;
$| = 1;
my $json = JSON::PP->new->canonical;
sub say_line { print $json->encode({ at => time() * 1000, @_ }), "\n" }

say_line(begin => JSON::PP::true);
my $redis;
for (my $number = 1; ; $number++) {
    eval {
        $redis //= Redis->new(
            sentinels => \@sentinels, service => $group, reconnect => 5, every => 20_000,
            cnx_timeout => 1, sentinels_cnx_timeout => 1, read_timeout => 1, sentinels_read_timeout => 1,
        );
        $redis->set(perl => $number);
        say_line(ok => JSON::PP::true);
        1;
    } or do {
        my $error = $@;
        undef $redis;
        say_line(error => substr("$error", 0, 160));
    };
    sleep 0.01;
}
