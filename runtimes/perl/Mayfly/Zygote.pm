package Mayfly::Zygote;

# A process with the interpreter and this runtime loaded, and nothing of any user's. The programs of
# new sandboxes are forked from it instead of being started. docs/internals/cloning-runtimes.md.

use strict;
use warnings;

# What every function needs sooner or later. Nothing that draws random numbers as it is loaded, and
# nothing that a fork would share: descriptors, threads.
use Mayfly::Forking ();
use Mayfly::Template ();
use Time::HiRes ();

# Waits for orders and forks for each. Returns in the programs, as if they had been started.
sub run {
    my $why = Mayfly::Forking::bind_library();
    ($why) = Mayfly::Forking::text('zygote') if !defined $why;
    if (defined $why) {
        print STDERR "mayfly: $why\n";
        $Mayfly::Leaving::loading = 0;
        exit 1;
    }
    Mayfly::Forking::each_order();
    return become_program();
}

sub become_program {
    srand;
    $^T = time;    ## no critic (RequireLocalizedPunctuationVars)
    Mayfly::Leaving::own();
    my %environment = map { my ($name, $value) = split /=/, $_, 2; ($name => $value) } Mayfly::Forking::text('environment');
    %ENV = %environment;    ## no critic (RequireLocalizedPunctuationVars)
    return;
}

1;
