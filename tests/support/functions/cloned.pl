# Says when it was initialised, which instance it is, and a number that is the instance's own.
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my $started = int(1e9 * clock_gettime(CLOCK_MONOTONIC));
my $own = rand;
undef $own;

sub handler {
    my ($event) = @_;
    $own //= rand;
    Time::HiRes::sleep($event->{s} // 0);
    return { started => $started, stream => $ENV{AWS_LAMBDA_LOG_STREAM_NAME}, own => $own };
}
1;
