# Says when it was initialised and by which process, which instance it is, and a number that is its own.
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my $started = int(1e9 * clock_gettime(CLOCK_MONOTONIC));
my $pid_then = $$ + 0;
my $own = rand;
undef $own;

sub handler {
    my ($event) = @_;
    $own //= rand;
    Time::HiRes::sleep($event->{s} // 0);
    my $pids = [$pid_then, $$ + 0];
    return { started => $started, stream => $ENV{AWS_LAMBDA_LOG_STREAM_NAME}, own => $own, pids => $pids };
}
1;
