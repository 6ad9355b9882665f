# Starts a Perl function: perl /var/runtime/main.pl, frame channel on fd 3.
#
# Two strictly separate steps, so that a template process can be forked between them: initialise()
# loads the user's code and opens nothing; serve() opens the channel and never returns. With
# MAYFLY_TEMPLATE_FD the process is such a template: what it serves, it serves in its clones. With
# MAYFLY_ZYGOTE_FD it is a zygote: whatever of the above, it does in forks of itself.

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
use Mayfly::Hooks ();

# Loads the user's code and what it takes to serve it. Dies with a Mayfly::InitError.
sub Mayfly::initialise {
    my $settings = Mayfly::Load::settings();
    @INC = grep { $_ ne $HERE } @INC;
    Mayfly::Logs::install();
    return Mayfly::Load::load($settings);
}

# Serves the app on the frame channel until it is shut down.
# ready: members that its first frame has beside the usual ones; undef: a clone, whose template has
# said that it is ready.
sub Mayfly::serve {
    my ($app, $descriptor, $ready) = @_;
    my $channel = Mayfly::Channel->new($descriptor);
    Mayfly::Logs::open_channel($channel);
    exit Mayfly::Leaving::status_of(Mayfly::Server->new($app, $channel), $ready);
}

# Initialises, and in a template waits for orders. The app, and what serve() takes as ready. Dies with
# a Mayfly::InitError.
sub Mayfly::start {
    my ($template) = @_;
    my $app = Mayfly::initialise();
    Mayfly::Hooks::run_before();
    my $ready = $template ? $template->settle($app) : {};
    if ($ready->{cloneable} && ${ $ready->{cloneable} }) {
        my $channel = Mayfly::Channel->new(3);
        $channel->put(Mayfly::Server::ready_frame($app, $ready));
        $channel->flush;
        $template->run;    # returns in each clone
        undef $ready;
    }
    Mayfly::Hooks::run_after();
    $Mayfly::Leaving::loading = 0;
    return ($app, $ready);
}

sub Mayfly::main {
    if (($ENV{MAYFLY_ZYGOTE_FD} // '') ne '') {
        require Mayfly::Zygote;
        Mayfly::Zygote::run();    # returns in each program
    }
    if (!Mayfly::Channel::close_on_exec(3)) {
        print STDERR "mayfly: file descriptor 3 is not open: this program is started by Mayfly\n";
        exit 1;
    }
    my $template;
    if (($ENV{MAYFLY_TEMPLATE_FD} // '') ne '') {
        require Mayfly::Template;
        $template = Mayfly::Template->new;
    }
    my ($app, $ready) = eval { Mayfly::start($template) };
    Mayfly::Leaving::fail_initialisation($@) if !$app;
    Mayfly::serve($app, 3, $ready);
    return;
}

Mayfly::main();
