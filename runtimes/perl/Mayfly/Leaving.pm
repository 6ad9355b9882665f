package Mayfly::Leaving;

# The ways in which the process ends.

use strict;
use warnings;

our $loading = 1;
my $owner = $$;

# The process is the instance: not a child of the user's.
sub own {
    $owner = $$;
    return;
}

sub status_of {
    my ($server, $ready) = @_;
    return 0 if eval { $server->run($ready); 1 };
    my $error = $@;
    return 0 if ref $error eq 'Mayfly::ChannelClosed';
    if (ref $error eq 'Mayfly::ProtocolError') {
        Mayfly::Logs::raw_error("mayfly: $error->{message}\n");
        return 1;
    }
    die $error;
}

# Of what Mayfly::initialise died with.
sub fail_initialisation {
    my ($error) = @_;
    my $fault = ref $error eq 'Mayfly::InitError' ? $error->{fault} : Mayfly::Errors::describe($error);
    $loading = 0;
    eval {
        my $channel = Mayfly::Channel->new(3);
        Mayfly::Logs::open_channel($channel);
        print STDERR Mayfly::Errors::log_text($fault);
        $channel->put(Mayfly::Frames::frame(0, Mayfly::Frames::INIT_ERROR, 0, Mayfly::Json::encode($fault)));
        $channel->flush;
        1;
    } or 1;    # the engine is gone
    exit 1;
}

# Compiled before the user's END blocks, and so run after them.
END {
    if ($$ == $owner) {
        my $status = $?;
        if ($loading && -e '/proc/self/fd/3') {
            fail_initialisation(bless {
                fault => Mayfly::Errors::fault('Runtime.ExitError', "The function called exit($status) while it was loaded")
            }, 'Mayfly::InitError');
        }
        eval { Mayfly::Logs::finish(); Mayfly::Logs::flush(); 1 } or 1;
        $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
    }
}

1;
