# Starts a Perl function: perl /var/runtime/main.pl, frame channel on fd 3.
#
# Two strictly separate steps, so that a template process can be forked between them: initialise()
# loads the user's code and opens nothing; serve() opens the channel and never returns.

use strict;
use warnings;

our $HERE;

BEGIN {
    ($HERE) = __FILE__ =~ m{^(.*)/};
    $HERE //= '.';
    unshift @INC, $HERE;
}

use Mayfly::Frames ();
use Mayfly::Json ();
use Mayfly::Errors ();
use Mayfly::Logs ();
use Mayfly::Context ();
use Mayfly::Streaming ();
use Mayfly::Load ();
use Mayfly::Server ();
use Mayfly::Leaving ();

# Loads the user's code and what it takes to serve it. Dies with a Mayfly::InitError.
sub Mayfly::initialise {
    my $settings = Mayfly::Load::settings();
    @INC = grep { $_ ne $HERE } @INC;
    Mayfly::Logs::install();
    my $app = Mayfly::Load::load($settings);
    $Mayfly::Leaving::loading = 0;
    return $app;
}

# Serves the app on the frame channel until it is shut down.
sub Mayfly::serve {
    my ($app, $descriptor) = @_;
    my $channel = Mayfly::Channel->new($descriptor);
    Mayfly::Logs::open_channel($channel);
    exit Mayfly::Leaving::status_of(Mayfly::Server->new($app, $channel));
}

sub Mayfly::main {
    if (!Mayfly::Channel::close_on_exec(3)) {
        print STDERR "mayfly: file descriptor 3 is not open: this program is started by Mayfly\n";
        exit 1;
    }
    my $app = eval { Mayfly::initialise() };
    Mayfly::Leaving::fail_initialisation($@) if !$app;
    Mayfly::serve($app, 3);
    return;
}

Mayfly::main();
