package Mayfly::Template;

# A process that has run the function's initialisation and is then cloned instead of serving.
# docs/internals/cloning-runtimes.md. Loaded before anything of the user's is.
#
# Perl calls no C by itself, but DynaLoader makes a sub of any function in a library. One that is none
# of Perl's takes no arguments and returns nothing: what it has to say is read from variables of the
# library. It also leaves the mark of its (empty) list of arguments on Perl's stack, which is dropped
# when the sub around it returns: so each is called from a sub of its own.

use strict;
use warnings;

use DynaLoader ();

my @FUNCTIONS = qw(open look next forked_env enter exit);
my @VARIABLES = qw(result text);

sub new {
    my ($class) = @_;
    my $self = bless {}, $class;
    my ($folder) = ($ENV{MAYFLY_CLONE_LIB} // '') =~ m{^(.*)/};
    my $path = delete $ENV{MAYFLY_TEMPLATE_LIB} // ($folder // '') . '/libmayfly_template.so';
    if ($self->bind($path)) {
        c_open();
        ($self->{why}) = $self->lines;
    }
    delete @ENV{qw(MAYFLY_TEMPLATE_FD MAYFLY_CLONE_LIB)};
    return $self;
}

# False when the library cannot be used.
sub bind {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $path) = @_;
    my $library = DynaLoader::dl_load_file($path, 0);
    my %address = map { $_ => $library && DynaLoader::dl_find_symbol($library, "mayfly_template_$_") } @FUNCTIONS, @VARIABLES;
    if (grep { !$_ } values %address) {
        $self->{why} = "Mayfly's template library cannot be used: " . DynaLoader::dl_error();
        return 0;
    }
    DynaLoader::dl_install_xsub("Mayfly::Template::raw_$_", $address{$_}) for @FUNCTIONS;
    $self->{$_} = $address{$_} for @VARIABLES;
    return 1;
}

sub c_open   { raw_open();       return }
sub c_look   { raw_look();       return }
sub c_next   { raw_next();       return }
sub c_forked { raw_forked_env(); return }
sub c_enter  { raw_enter();      return }
sub c_exit   { raw_exit();       return }

# The strings of the text, a block that an empty one ends.
sub lines {
    my ($self) = @_;
    my $at = memory($self->{text}, 'J');
    my @lines;
    while ((my $line = unpack 'p', pack 'J', $at) ne '') {
        $at += 1 + length $line;
        push @lines, $line;
    }
    return @lines;
}

# A number at an address.
sub memory {
    my ($address, $form) = @_;
    my $size = length pack $form, 0;
    return unpack $form, unpack "P$size", pack 'J', $address;
}

# After initialisation. The members of ready that say whether the process can be cloned.
sub settle {
    my ($self, $app) = @_;
    if (!defined $self->{why}) {
        c_look();
        for my $line ($self->lines) {
            utf8::decode($line);
            my ($kind, $words) = $line =~ /^(.)(.*)\z/s;
            if ($kind eq '!') { $self->{why} = $words }
            else              { push @{ $app->{notes} }, $words }
        }
    }
    return { cloneable => \1 } if !defined $self->{why};
    return { cloneable => \0, why => $self->{why} };
}

# Waits for orders and forks for each. Returns in the clones.
sub run {
    my ($self) = @_;
    while (1) {
        c_next();
        last if memory($self->{result}, 'i') != 1;
        my $pid = fork;
        if (defined $pid && $pid == 0) {
            $self->become_clone;
            return;
        }
        local $ENV{MAYFLY_TEMPLATE_PID} = $pid // -$!;
        c_forked();
    }
    c_exit();
    return;
}

sub become_clone {
    my ($self) = @_;
    c_enter();
    srand;
    $^T = time;    ## no critic (RequireLocalizedPunctuationVars)
    Mayfly::Leaving::own();
    for my $line ($self->lines) {
        my ($name, $value) = split /=/, $line, 2;
        $ENV{$name} = $value if $name ne '';    ## no critic (RequireLocalizedPunctuationVars)
    }
    return;
}

1;
