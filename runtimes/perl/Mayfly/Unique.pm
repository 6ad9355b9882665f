package Mayfly::Unique;

# Randomness in a template: what was drawn before the clone must not be the same in every clone. These
# packages keep a state of their own and look at no pid. A seed that the user gave stays.
# docs/internals/cloning-runtimes.md.

use strict;
use warnings;

# Whether the package itself is there and its seed was not given; what seeds it anew.
my %AGAIN = (
    'Math/Random/Secure.pm' => [\&secure_is_own, sub { Math::Random::Secure::srand() }],
    'Math/Prime/Util.pm' => [\&prime_is_own, sub { Math::Prime::Util::csrand() }],
    'Data/Entropy.pm' => [\&entropy_is_own, sub { $Data::Entropy::entropy_source = \&entropy_source }],
);

# Their generators are objects that only the user's code can reach.
my @KEEPERS = qw(Session::Token Math::Random::MT Math::Random::MT::Auto);

my @again;

# In the template, after initialisation. Returns sentences about what every clone will have in common.
sub look {
    @again = map { $AGAIN{$_}[1] } grep { $INC{$_} && eval { $AGAIN{$_}[0]->() } } sort keys %AGAIN;
    my @found = grep { $INC{ s{::}{/}gr . '.pm' } && $_->can('new') } @KEEPERS;
    return if !@found;
    return 'initialisation has loaded ' . join(', ', @found) . ': a generator that was made there gives every instance the '
        . 'same values unless it is made in a hook registered with Mayfly::after_restore or in the handler';
}

# Math::Random::MT::Auto, which Data::UUID::MT seeds anew when it sees another pid, asks for this as soon
# as threads::shared is loaded; that has it only with threads. Nothing is shared without.
sub help_mt {
    return if !$INC{'Math/Random/MT/Auto.pm'} || !$INC{'threads/shared.pm'} || defined &threads::shared::_id;
    no warnings 'once';
    *threads::shared::_id = sub { return undef };    ## no critic (ProhibitExplicitReturnUndef)
    return;
}

# First thing in a clone.
sub reseed {
    srand;
    help_mt();
    for my $seed (@again) {
        local ($@, $!);
        eval { $seed->(); 1 } or print STDERR "mayfly: a package's random numbers are not this instance's own: $@";
    }
    return;
}

sub secure_is_own {
    no warnings 'once';
    my $generator = $Math::Random::Secure::RNG;
    return defined &Math::Random::Secure::srand && defined $generator && length $generator->seed == $generator->seed_size;
}

sub prime_is_own {
    return defined &Math::Prime::Util::csrand && Math::Prime::Util::_is_csprng_well_seeded();
}

# Its default, once it has been used.
sub entropy_is_own {
    no warnings 'once';
    return defined &Data::Entropy::entropy_source && ref $Data::Entropy::entropy_source eq 'Data::Entropy::Source'
        && $INC{'Data/Entropy/RawSource/CryptCounter.pm'} && $INC{'Crypt/URandom.pm'} && $INC{'Crypt/Rijndael.pm'};
}

sub entropy_source {
    my $cipher = Crypt::Rijndael->new(Crypt::URandom::urandom(32));
    return Data::Entropy::Source->new(Data::Entropy::RawSource::CryptCounter->new($cipher), 'getc');
}

1;
