package Mayfly::Template;

# A process that has run the function's initialisation and is then cloned instead of serving.
# docs/internals/cloning-runtimes.md. Loaded before anything of the user's is.

use strict;
use warnings;

use Mayfly::Forking ();
use Mayfly::Unique ();

sub new {
    my ($class) = @_;
    my $self = bless {}, $class;
    $self->{why} = Mayfly::Forking::bind_library();
    ($self->{why}) = Mayfly::Forking::text('open') if !defined $self->{why};
    delete @ENV{qw(MAYFLY_TEMPLATE_FD MAYFLY_CLONE_LIB MAYFLY_TEMPLATE_LIB)};
    return $self;
}

# After initialisation. The members of ready that say whether the process can be cloned.
sub settle {
    my ($self, $app) = @_;
    if (!defined $self->{why}) {
        for my $line (Mayfly::Forking::text('look')) {
            utf8::decode($line);
            my ($kind, $words) = $line =~ /^(.)(.*)\z/s;
            if ($kind eq '!') { $self->{why} = $words }
            else              { push @{ $app->{notes} }, $words }
        }
    }
    push @{ $app->{notes} }, Mayfly::Unique::look() if !defined $self->{why};
    return { cloneable => \1 } if !defined $self->{why};
    return { cloneable => \0, why => $self->{why} };
}

# Waits for orders and forks for each. Returns in the clones.
sub run {
    my ($self) = @_;
    Mayfly::Forking::each_order();
    $self->become_clone;
    return;
}

sub become_clone {
    my @lines = Mayfly::Forking::text('enter');
    Mayfly::Unique::reseed();
    $^T = time;    ## no critic (RequireLocalizedPunctuationVars)
    Mayfly::Leaving::own();
    for my $line (@lines) {
        my ($name, $value) = split /=/, $line, 2;
        $ENV{$name} = $value if $name ne '';    ## no critic (RequireLocalizedPunctuationVars)
    }
    return;
}

1;
